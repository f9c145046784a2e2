// @ts-check
/**
 * Pings servers all the while, in a process of its own, and tells how long they took: `node ping-client.mjs host:port…`.
 * On standard input `begin` starts a measurement and `end` ends it and prints it, as a line of JSON ({@link Pauses}).
 *
 * Each server has one connection and one PING at a time, a millisecond after the other. What comes due while an answer is
 * outstanding would have waited, too, so it is counted with the time that it would have waited; else a pause of a second
 * would be one bad sample among thousands.
 *
 * It has to be lean, or it measures itself: one timer for all connections, a socket's data read into one buffer that is
 * never passed on, no parsing, latencies into a histogram. What is left shows: its own pauses for garbage collection are
 * in the result, and a server that nothing else talks to tells what the client and a busy machine add by themselves.
 *
 * @typedef {{ samples: number, p999Ms: number, maxMs: number }} Pause
 * @typedef {{ servers: Pause[], longestCollectionMs: number }} Pauses the servers in the order of the arguments
 */
import { connect } from 'node:net';
import { createHistogram, PerformanceObserver } from 'node:perf_hooks';
import { createInterface } from 'node:readline';

const PING = Buffer.from('*1\r\n$4\r\nPING\r\n');
const INTERVAL_MS = 1;
const WARM_UP_MS = 500;

class Pinger {
  #histogram = createHistogram({ lowest: 1000, highest: 60_000_000_000, figures: 3 });
  #sentAt = 0;
  #isWaiting = true;
  #socket;

  /** @param {string} address `host:port` */
  constructor(address) {
    const [host = '', port = ''] = address.split(':');
    const onread = { buffer: Buffer.alloc(64), callback: () => this.#answered() };
    this.#socket = connect({ host, port: Number(port), noDelay: true, onread }, () => {
      this.#isWaiting = false;
    });
  }

  ping() {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#sentAt = performance.now();
    this.#socket.write(PING);
  }

  /** The seven bytes of `+PONG` come in one piece. */
  #answered() {
    const ms = performance.now() - this.#sentAt;
    this.#isWaiting = false;
    for (let waited = ms; waited === ms || waited >= INTERVAL_MS; waited -= INTERVAL_MS) {
      this.#histogram.record(Math.max(1, Math.round(waited * 1e6)));
    }
    return true;
  }

  begin() {
    this.#histogram.reset();
  }

  /** @returns {Pause} */
  end() {
    const { count, max } = this.#histogram;
    return { samples: count, p999Ms: this.#histogram.percentile(99.9) / 1e6, maxMs: max / 1e6 };
  }
}

const pingers = process.argv.slice(2).map((address) => new Pinger(address));
setInterval(() => {
  for (const pinger of pingers) pinger.ping();
}, INTERVAL_MS);

let longestCollectionMs = 0;
const collections = new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) {
    longestCollectionMs = Math.max(longestCollectionMs, duration);
  }
});
collections.observe({ entryTypes: ['gc'] });

setTimeout(() => {
  console.log('ready');
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    if (line === 'begin') {
      longestCollectionMs = 0;
      for (const pinger of pingers) pinger.begin();
    } else {
      const servers = pingers.map((pinger) => pinger.end());
      console.log(JSON.stringify({ servers, longestCollectionMs }));
    }
  });
  lines.on('close', () => process.exit());
}, WARM_UP_MS);
