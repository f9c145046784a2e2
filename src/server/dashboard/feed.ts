import type { ServerResponse } from 'node:http';
import { JwtctlError } from '../../domain/shared/errors.js';
import type { Counts, Report, RunningVerifier } from '../../page/page-data.js';
import { countsIn } from './counts.js';
import type { RecentEvents } from './recent-events.js';

export interface DashboardSources {
  /** Reads the registry, unless another process of the server has done so lately: see {@link secondsUntilNext}. */
  report(): Promise<Report>;
  /** Null if the fleet cannot be read. */
  verifiers(): Promise<readonly RunningVerifier[] | null>;
  /** The metrics of all processes. */
  metricsText(): Promise<string>;
  events: RecentEvents;
  now(): number;
}

/** The time between two reports while the dashboard has viewers. Reading takes at most a tenth of it. */
export function secondsUntilNext({ isRead, tookSeconds }: { isRead: boolean; tookSeconds: number }): number {
  return isRead ? Math.max(60, 10 * tookSeconds) : Math.max(10, tookSeconds);
}

const TICK_MS = 2_000;
/** In each process. */
const MOST_VIEWERS = 20;
/** A viewer that reads slower is disconnected. Its browser connects again. */
const MOST_UNREAD_BYTES = 1_048_576;

/** Sends server-sent events to all viewers. Reads nothing while there are none. */
export class Feed {
  readonly #sources: DashboardSources;
  readonly #viewers = new Set<ServerResponse>();
  #timer: NodeJS.Timeout | undefined;
  #report: Report | null = null;
  #reportDueAt = 0;
  #isReading = false;
  #isClosed = false;

  constructor(sources: DashboardSources) {
    this.#sources = sources;
    sources.events.onNew = (event) => this.#send('events', [event]);
  }

  get isFull(): boolean {
    return this.#isClosed || this.#viewers.size >= MOST_VIEWERS;
  }

  /** @param response whose headers are written */
  add(response: ServerResponse): void {
    this.#viewers.add(response);
    response.on('close', () => this.#remove(response));
    // Without a listener, a failed write would end the process.
    response.on('error', () => this.#remove(response));
    response.write(`retry: 3000\n\n${eventText('events', this.#sources.events.all)}`);
    // Otherwise, the next one is read now.
    if (this.#report !== null && this.#sources.now() < this.#reportDueAt)
      response.write(eventText('report', this.#report));
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
    this.#tick();
  }

  close(): void {
    this.#isClosed = true;
    for (const viewer of this.#viewers) {
      viewer.end();
      // One that does not read stays open for a while, and would get events.
      this.#remove(viewer);
    }
  }

  #tick(): void {
    void this.#readReport();
    // The next tick tries again.
    this.#sendCounts().catch(() => {});
  }

  async #sendCounts(): Promise<void> {
    const { now, metricsText, verifiers } = this.#sources;
    const [text, fleet] = await Promise.all([metricsText(), verifiers()]);
    const counts: Counts = { at: now(), ...countsIn(text), verifiers: fleet };
    this.#send('counts', counts);
  }

  async #readReport(): Promise<void> {
    const { now, report } = this.#sources;
    if (this.#isReading || now() < this.#reportDueAt) return;
    this.#isReading = true;
    const startedAt = now();
    let isRead = false;
    try {
      this.#report = await report();
      isRead = true;
      this.#send('report', this.#report);
    } catch (error) {
      // The message may name hosts and files.
      this.#send('failure', { code: error instanceof JwtctlError ? error.code : 'ERR_BUG' });
    }
    this.#reportDueAt = now() + secondsUntilNext({ isRead, tookSeconds: now() - startedAt });
    this.#isReading = false;
  }

  #send(event: string, data: unknown): void {
    if (this.#viewers.size === 0) return;
    const text = eventText(event, data);
    for (const viewer of this.#viewers) {
      if (viewer.writableLength > MOST_UNREAD_BYTES) viewer.destroy();
      else viewer.write(text);
    }
  }

  #remove(response: ServerResponse): void {
    this.#viewers.delete(response);
    if (this.#viewers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** JSON has no line breaks, which would end the data. */
function eventText(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
