//! Journal and series to the control room.
