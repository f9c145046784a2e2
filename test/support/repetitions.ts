/**
 * How often tests repeat what depends on chance. The default is a few times, to keep runs short. To repeat more often:
 *
 *     JWTCTL_TEST_RACES=20 JWTCTL_TEST_KILLS=50 JWTCTL_TEST_ROTATIONS=10 npm test -- test/cli/processes
 *     JWTCTL_TEST_REPLAYS=20 npm test -- test/faults/replays
 *     JWTCTL_TEST_LOAD_SECONDS=600 npm test -- test/server/load
 */

/** How many times 32 processes rotate at once. */
export const RACES = times('JWTCTL_TEST_RACES', 1);
/** How many runs of each command are killed. */
export const KILLS = times('JWTCTL_TEST_KILLS', 4);
/** How many rotations take place under load. */
export const ROTATIONS = times('JWTCTL_TEST_ROTATIONS', 3);
/** How many refresh tokens are used 64 times at once. */
export const REPLAYS = times('JWTCTL_TEST_REPLAYS', 3);
/** How long the server is under load, in seconds. */
export const LOAD_SECONDS = times('JWTCTL_TEST_LOAD_SECONDS', 6);

function times(variable: string, fallback: number): number {
  const count = Number(process.env[variable] ?? fallback);
  if (!Number.isInteger(count) || count < 1) throw new Error(`${variable} is a whole number above 0.`);
  return count;
}
