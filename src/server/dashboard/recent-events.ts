import type { SecurityEvent } from '../../domain/ports/index.js';
import type { ShownEvent } from '../../page/page-data.js';

const MOST = 50;

/** The last events of the security log. A reload of the log shows the same events again. */
export class RecentEvents {
  #recent: ShownEvent[] = [];
  onNew: (event: ShownEvent) => void = () => {};

  readonly take = ({ id, type, sub, jti, kid, issuedBefore, reason, at }: SecurityEvent): void => {
    // Says nothing about access.
    if (type === 'user_refreshed') return;
    const [oldest] = this.#recent;
    const isKnown = this.#recent.some((one) => one.id === id && one.at === at);
    if (isKnown || (this.#recent.length === MOST && oldest !== undefined && id < oldest.id)) return;
    const event = { id, type, sub, jti, kid, issuedBefore, reason, at };
    this.#recent = [...this.#recent, event].sort((a, b) => a.id - b.id).slice(-MOST);
    this.onNew(event);
  };

  /** Oldest first. */
  get all(): readonly ShownEvent[] {
    return this.#recent;
  }
}
