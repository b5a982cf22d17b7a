// Is what the page shows live? Pure: time comes in as a value, nothing here reads a clock.
// Read first: README of the console design, correction 3; `alarm-engine.md` section 7.11.
//
// The beat passes through the engines' ticks, so three things are told apart: no beat at all, a
// beat whose centre does not tick, and a beat in which one gateway does not. The first two strike
// the whole page, the third that gateway's points.

/** No beat, or no tick of the centre, for longer: every value is struck. */
export const SILENT_MS = 2000;
/** No tick of a gateway for longer: its points are struck. */
export const GATEWAY_MS = 3000;

export type Phase = 'starting' | 'live' | 'lost';
export type Why = 'silent' | 'engine' | 'resync';

export interface LinkView {
  phase: Phase;
  /** Last moment that was known good, on the page's monotonic clock. */
  since: number;
  why: Why;
}

export class Link {
  private heard: number;
  private ticked: number;
  private readonly gateways = new Map<string, number>();
  private lost_at: number | null = null;
  /** Since when what is shown may have holes; a full fetch that began later mends it. */
  private holes_since: number | null;
  private ever_synced = false;
  private ever_heard = false;

  constructor(started: number) {
    this.heard = started;
    this.ticked = started;
    this.holes_since = started;
  }

  /** A beat came: with the age of the centre's tick and of each gateway's. */
  beat(now: number, center_age_ms: number, gateways: Readonly<Record<string, number | null>>): void {
    this.look(now);
    this.heard = now;
    this.ever_heard = true;
    this.ticked = now - center_age_ms;
    this.gateways.clear();
    for (const [id, age] of Object.entries(gateways)) if (age !== null) this.gateways.set(id, now - age);
  }

  /** A full fetch that began at `began` has been shown. It counts only if it began after the loss. */
  synced(now: number, began: number): void {
    this.look(now);
    if (this.holes_since !== null && began >= this.holes_since) {
      this.holes_since = null;
      this.ever_synced = true;
    }
    this.mend(now);
  }

  /** The stream could not be resumed: what is shown may have holes until the next full fetch. */
  resync(now: number): void {
    this.holes_since ??= now;
  }

  private fresh(now: number): boolean {
    return now - this.heard <= SILENT_MS && now - this.ticked <= SILENT_MS;
  }

  /** Notices a loss, and keeps it until a full fetch that began later has been shown. */
  private look(now: number): void {
    if (this.lost_at !== null) return;
    if (!this.fresh(now)) {
      this.lost_at = now;
      this.holes_since = now;
    } else if (this.holes_since !== null && now - this.holes_since > SILENT_MS) this.lost_at = now;
  }

  private mend(now: number): void {
    if (this.holes_since === null && this.fresh(now)) this.lost_at = null;
  }

  view(now: number): LinkView {
    this.look(now);
    this.mend(now);
    if (this.lost_at !== null) {
      if (now - this.heard > SILENT_MS) return { phase: 'lost', since: this.heard, why: 'silent' };
      if (now - this.ticked > SILENT_MS) return { phase: 'lost', since: this.ticked, why: 'engine' };
      return { phase: 'lost', since: this.lost_at, why: 'resync' };
    }
    return { phase: this.ever_synced && this.ever_heard ? 'live' : 'starting', since: this.heard, why: 'silent' };
  }

  /** Age of the newest beat. */
  beat_age(now: number): number {
    return now - this.heard;
  }

  /** Age of a gateway's newest tick; null where no beat has named it. */
  gateway_age(id: string, now: number): number | null {
    const ticked = this.gateways.get(id);
    return ticked === undefined ? null : now - ticked;
  }

  /** Whether a gateway's engine has not ticked for too long. A gateway that no beat names is dead. */
  gateway_dead(id: string, now: number): boolean {
    const ticked = this.gateways.get(id);
    return ticked === undefined || now - ticked > GATEWAY_MS;
  }
}
