// @ts-check
import { once } from 'node:events';
import { connect } from 'node:net';
import { encode } from './layouts.mjs';

const CHUNK_CHARACTERS = 256 * 1024;
const MINUS = '-'.charCodeAt(0);
const NEWLINE = '\n'.charCodeAt(0);
const REPLICATION_TIMEOUT_MS = 60_000;

/**
 * Writes commands to one server as fast as it takes them, without waiting for the answers. These may be numbers from zero
 * up and `+OK`: whatever has a minus in it counts as an error.
 *
 * @param {{ host: string, port: number }} server
 */
export async function openFeed({ host, port }) {
  const socket = connect({ host, port, noDelay: true });
  await once(socket, 'connect');
  /** @type {string[]} */
  let waiting = [];
  let waitingCharacters = 0;
  let sent = 0;
  let answered = 0;
  let lastReply = '';
  /** @type {Error | null} */
  let failure = null;
  let wake = () => {};

  const fail = (/** @type {Error} */ error) => {
    failure ??= error;
    wake();
  };
  socket.on('error', fail);
  socket.on('close', () => fail(new Error(`${host}:${port} closed the connection.`)));
  socket.on('drain', () => wake());
  socket.on('data', (data) => {
    if (data.includes(MINUS)) return fail(new Error(`${host}:${port} answered: ${data.toString('latin1')}`));
    for (let at = data.indexOf(NEWLINE); at !== -1; at = data.indexOf(NEWLINE, at + 1)) answered++;
    lastReply = data.subarray(-32).toString('latin1');
    if (answered === sent) wake();
  });

  /** @param {() => boolean} isTrue */
  const until = async (isTrue) => {
    while (failure === null && !isTrue()) {
      await new Promise((resolve) => {
        wake = () => resolve(undefined);
      });
    }
    if (failure !== null) throw failure;
  };

  const flush = () => {
    socket.write(waiting.join(''), 'latin1');
    waiting = [];
    waitingCharacters = 0;
    return until(() => !socket.writableNeedDrain);
  };

  return {
    /**
     * @param {string} command ASCII, in the Redis protocol
     * @returns {Promise<void> | undefined} to be awaited where there is one
     */
    write(command) {
      waiting.push(command);
      waitingCharacters += command.length;
      sent++;
      return waitingCharacters >= CHUNK_CHARACTERS ? flush() : undefined;
    },

    /**
     * Waits until everything has been answered and a replica has it.
     *
     * @throws where anything was answered with an error
     */
    async end() {
      this.write(encode('WAIT', '1', String(REPLICATION_TIMEOUT_MS)));
      await flush();
      await until(() => answered === sent);
      socket.destroy();
      if (lastReply.endsWith(':0\r\n')) throw new Error(`The replica of ${host}:${port} does not follow.`);
    },
  };
}
