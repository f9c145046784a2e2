// @ts-check
import { setTimeout as delay } from 'node:timers/promises';
import hashSlot from 'cluster-key-slot';
import { Redis } from 'ioredis';
import { openFeed } from './feed.mjs';
import { sum } from './statistics.mjs';
import { subjectsOf } from './tokens.mjs';

/**
 * @typedef {import('./layouts.mjs').Layout} Layout
 * @typedef {import('./layouts.mjs').Write} Write
 * @typedef {import('./tokens.mjs').TokenSet} TokenSet
 * @typedef {{ host: string, port: number, node: string, client: Redis, slots: Array<[first: number, last: number]> }} Master
 * @typedef {{ entries: number, subjects: number, byKeyId: Map<number, number> }} Tally what a fill has put in
 */

/**
 * A cluster that belongs to the benchmark alone.
 *
 * @typedef {object} Cluster
 * @property {Master[]} masters
 * @property {() => Promise<void>} wipe removes whatever is in it
 * @property {(set: TokenSet, layout: Layout) => Promise<Tally>} fill writes a set into the empty cluster
 * @property {(writes: Iterable<Write>) => Promise<void>} write
 * @property {(key: string) => Master} masterOf
 * @property {() => Promise<number>} countKeys
 * @property {() => Promise<number>} usedMemory bytes that the masters use, but for what waits for replicas
 * @property {() => Promise<void>} close
 */

/**
 * @param {ReadonlyArray<{ host: string, port: number, node: string }>} nodes masters first
 * @returns {Promise<Cluster>}
 */
export async function openCluster(nodes) {
  const masters = await findMasters(nodes);
  /** @type {Master[]} */
  const bySlot = [];
  for (const master of masters) {
    for (const [first, last] of master.slots) {
      for (let slot = first; slot <= last; slot++) bySlot[slot] = master;
    }
  }
  /** @param {string} key */
  const masterOf = (key) => {
    const master = bySlot[hashSlot(key)];
    if (master === undefined) throw new Error(`No master serves the slot of ${key}.`);
    return master;
  };
  /** @param {(master: Master) => Promise<number>} ask */
  const total = async (ask) => sum(await Promise.all(masters.map(ask)));
  const countKeys = () => total(({ client }) => client.dbsize());
  const usedMemory = () => total(usedMemoryOf);

  /** @param {Iterable<Write>} writes */
  const write = async (writes) => {
    const feeds = new Map(
      await Promise.all(
        masters.map(async (master) => /** @type {const} */ ([master, await openFeed(master)])),
      ),
    );
    for (const { key, command } of writes) {
      const full = feeds.get(masterOf(key))?.write(command);
      if (full !== undefined) await full;
    }
    await Promise.all([...feeds.values()].map((feed) => feed.end()));
  };

  return {
    masters,
    masterOf,
    write,
    countKeys,
    usedMemory: () => settled(usedMemory),

    async wipe() {
      await Promise.all(masters.map(({ client }) => client.flushall('ASYNC')));
      await settled(usedMemory);
    },

    async fill(set, layout) {
      /** @type {Tally} */
      const tally = { entries: 0, subjects: 0, byKeyId: new Map() };
      let keys = 0;
      let lastKey = '';
      await write(
        (function* () {
          for (const subject of subjectsOf(set)) {
            tally.subjects++;
            tally.entries += subject.entries.length;
            for (const { keyId } of subject.entries) {
              tally.byKeyId.set(keyId, (tally.byKeyId.get(keyId) ?? 0) + 1);
            }
            for (const one of layout(subject)) {
              if (one.key !== lastKey) keys++;
              lastKey = one.key;
              yield one;
            }
          }
        })(),
      );
      const found = await countKeys();
      if (found !== keys) throw new Error(`Filled with ${keys} keys, but the masters count ${found}.`);
      return tally;
    },

    async close() {
      for (const { client } of masters) client.disconnect();
    },
  };
}

/**
 * @param {ReadonlyArray<{ host: string, port: number, node: string }>} nodes
 * @returns {Promise<Master[]>}
 */
async function findMasters(nodes) {
  const [first] = nodes;
  if (first === undefined) throw new Error('A cluster without nodes.');
  const client = new Redis(first.port, first.host);
  try {
    const ranges = await client.cluster('SLOTS');
    return nodes.flatMap((node) => {
      const slots = ranges
        .filter(([, , master]) => Number(master?.[1]) === node.port)
        .map(([from, to]) => /** @type {[number, number]} */ ([Number(from), Number(to)]));
      return slots.length === 0 ? [] : { ...node, slots, client: new Redis(node.port, node.host) };
    });
  } finally {
    client.disconnect();
  }
}

/**
 * What is kept for replicas and clients comes and goes with the traffic, and has nothing to do with the data.
 *
 * @param {Master} master
 */
async function usedMemoryOf({ client }) {
  const info = await client.info('memory');
  const bytes = (/** @type {string} */ name) =>
    Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return (
    bytes('used_memory') -
    bytes('mem_total_replication_buffers') -
    bytes('mem_clients_normal') -
    bytes('mem_clients_slaves')
  );
}

/** The buffers of the nodes' own talk come and go. */
const FLUCTUATION_BYTES = 256 * 1024;

/**
 * Reads the used memory until it no longer moves: servers free memory and resize their tables at leisure.
 *
 * @param {() => Promise<number>} read
 */
async function settled(read) {
  const deadline = Date.now() + 60_000;
  let before = await read();
  for (;;) {
    await delay(500);
    const now = await read();
    if (Math.abs(now - before) < FLUCTUATION_BYTES || Date.now() > deadline) return now;
    before = now;
  }
}
