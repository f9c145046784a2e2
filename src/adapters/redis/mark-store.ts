import type { MarkField, MarkStore } from '../../domain/ports/mark-store.js';
import { ADD_EVENTS, EVENTS_PER_CALL, REPLACE_MARKS, WRONG_TYPE } from './scripts/index.js';
import type { RegistrySession } from './session.js';
import type { Command, Reply } from './wire/pipeline.js';
import { replyCode, wrongType } from './wire/redis-errors.js';
import { integerIn, pageIn, textsOrNullsIn } from './wire/reply-shapes.js';

const FIELDS = ['mark', 'keys', 'hint'] as const satisfies readonly MarkField[];

export const redisMarkStore = (session: RegistrySession): MarkStore => ({
  async read() {
    const { key, slot } = session.keyspace.marks;
    const { replies } = await session.batcher.send({ slot, commands: [['hmget', key, ...FIELDS]] });
    // Any client can replace the key. Treat that as a mark that does not verify, not as an error.
    if (replyCode(replies[0]) === 'WRONGTYPE') return { mark: '', keys: null, hint: null };
    const read = (reply: Reply) => textsOrNullsIn(reply, FIELDS.length);
    const [mark = null, keys = null, hint = null] = session.connection.unwrap(replies[0], read);
    return { mark, keys, hint };
  },

  async replace(field, expected, written) {
    const { key, slot } = session.keyspace.marks;
    const args = [field, expected ?? '', ...Object.entries(written).flat()];
    const outcome = await session.batcher.read({ slot, script: REPLACE_MARKS, keys: [key], args }, integerIn);
    if (outcome === WRONG_TYPE) throw wrongType(key);
    return outcome === 1;
  },

  async addEvents(events) {
    const { eventShards } = session.keyspace;
    const byShard = eventShards.map((): Array<string | number> => []);
    for (const { id, expiresAt, text } of events) byShard[id % eventShards.length]?.push(expiresAt, text);
    const foreignKeys = await Promise.all(
      eventShards.map(async ({ key, slot }, shard) => {
        const args = byShard[shard] ?? [];
        for (let from = 0; from < args.length; from += 2 * EVENTS_PER_CALL) {
          const some = args.slice(from, from + 2 * EVENTS_PER_CALL);
          const request = { slot, script: ADD_EVENTS, keys: [key], args: some };
          if ((await session.batcher.read(request, integerIn)) === WRONG_TYPE) return [key];
        }
        return [];
      }),
    );
    return foreignKeys.flat();
  },

  async *events() {
    for (const [shard, { key, slot }] of session.keyspace.eventShards.entries()) {
      let cursor = '0';
      do {
        const asked = cursor;
        const read = (reply: Reply) => pageIn(reply, asked);
        const page = await send(session, slot, ['zscan', key, asked, 'COUNT', 1000], read);
        const [next, members] = page ?? ['0', null];
        const texts = members?.filter((_, index) => index % 2 === 0) ?? null;
        yield { key, events: texts?.map((text) => ({ text, shard })) ?? null };
        cursor = next;
      } while (cursor !== '0');
    }
  },

  async removeEvents(events) {
    for (const [shard, { key, slot }] of session.keyspace.eventShards.entries()) {
      const members = events.filter((event) => event.shard === shard).map(({ text }) => text);
      for (let from = 0; from < members.length; from += EVENTS_PER_CALL)
        await send(session, slot, ['zrem', key, ...members.slice(from, from + EVENTS_PER_CALL)], integerIn);
    }
  },
});

/** Returns null if another client replaced the key with a value of another type. */
async function send<T>(
  session: RegistrySession,
  slot: number,
  command: Command,
  read: (reply: Reply) => T,
): Promise<T | null> {
  const [reply] = (await session.batcher.send({ slot, commands: [command] })).replies;
  return replyCode(reply) === 'WRONGTYPE' ? null : session.connection.unwrap(reply, read);
}
