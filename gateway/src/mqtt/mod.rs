//! MQTT without sockets: payloads and topics.
