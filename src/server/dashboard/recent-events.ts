import type { SecurityEvent } from '../../domain/ports/index.js';
import type { ShownEvent } from '../../page/page-data.js';

const MOST = 50;

/** The last events of the security log. A reload of the log shows the same events again. */
export class RecentEvents {
  readonly #recent: ShownEvent[] = [];
  onNew: (event: ShownEvent) => void = () => {};

  readonly take = ({ id, type, sub, jti, kid, issuedBefore, reason, at }: SecurityEvent): void => {
    // Says nothing about access.
    if (type === 'user_refreshed') return;
    const [oldest] = this.#recent;
    if (this.#recent.length === MOST && oldest !== undefined && id < oldest.id) return;
    // Most events are newer than all others.
    const place = this.#recent.findLastIndex((one) => one.id <= id);
    if (this.#recent.slice(0, place + 1).some((one) => one.id === id && one.at === at)) return;
    const event = { id, type, sub, jti, kid, issuedBefore, reason, at };
    this.#recent.splice(place + 1, 0, event);
    if (this.#recent.length > MOST) this.#recent.shift();
    this.onNew(event);
  };

  /** Oldest first. */
  get all(): readonly ShownEvent[] {
    return this.#recent;
  }
}
