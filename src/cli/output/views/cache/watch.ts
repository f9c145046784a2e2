import type { Look, RegistryChange } from '../../../../domain/inspection/watch.js';
import { formatDuration } from '../../../../domain/shared/duration.js';
import { numberColumn } from '../../columns.js';
import { rate, signed } from '../../number-format.js';
import { isoTime } from '../../time.js';
import type { Cell, JsonObject, Section, Text, View } from '../../view.js';
import { inspectionData, inspectionSections } from './inspect.js';

export function watch(looks: AsyncIterable<Look>, intervalSeconds: number): View {
  return { shape: 'live', frames: frames(looks, intervalSeconds) };
}

async function* frames(looks: AsyncIterable<Look>, intervalSeconds: number) {
  const changes: Array<RegistryChange | null> = [];
  for await (const look of looks) {
    // There is nothing to compare the first look with.
    if (look.change !== null || changes.length > 0) changes.push(look.change);
    if (changes.length > MOST_CHANGES) changes.shift();
    yield { data: lookData(look), sections: lookSections(look, changes, intervalSeconds) };
  }
}

/** Wider than any terminal. */
const MOST_CHANGES = 1_000;

function lookSections(
  look: Look,
  changes: ReadonlyArray<RegistryChange | null>,
  intervalSeconds: number,
): Section[] {
  const [first, ...others] = inspectionSections(look.report, look.at, look.change);
  if (first === undefined) return [];
  const every = formatDuration(intervalSeconds);
  const { at, change, failure } = look;
  const lines: Text[] =
    failure === null
      ? [`${isoTime(at)}, every ${every}${change === null ? '' : `: ${inWords(change)}`}`]
      : [
          {
            text: `${isoTime(at)}: no response for ${formatDuration(at - failure.since)}; the data below is older. ${failure.error.message}`,
            tone: 'bad',
          },
        ];
  return [{ ...first, lines: [...lines, ...(first.lines ?? [])] }, rates(changes, every), ...others];
}

function rates(changes: ReadonlyArray<RegistryChange | null>, every: string): Section {
  const row = (name: string, rateOf: (change: RegistryChange) => number | null): Cell[] => {
    const values = changes.map((change) => (change === null ? null : rateOf(change)));
    const known = values.filter((value) => value !== null);
    const now = values.at(-1) ?? null;
    return [
      name,
      now === null ? '-' : rate(now),
      known.length === 0 ? '-' : rate(Math.max(...known)),
      { sparkline: values },
    ];
  };
  const areRefusalsKnown = changes.some((change) => change !== null && change.refused !== null);
  return {
    title: `Tokens per second, every ${every}`,
    columns: ['', numberColumn('now'), numberColumn('highest'), ''],
    rows:
      changes.length === 0
        ? []
        : [
            row('new', ({ arrivedPerSecond }) => arrivedPerSecond),
            row('gone', ({ gonePerSecond }) => gonePerSecond),
            ...(areRefusalsKnown ? [row('refused', ({ refusedPerSecond }) => refusedPerSecond)] : []),
          ],
  };
}

function inWords({ entries, since }: RegistryChange): string {
  return `${signed(entries)} since ${isoTime(since).slice(11)}`;
}

/** Returns only the error for a failed look, because earlier lines have the earlier data. */
function lookData({ at, report, change, failure }: Look): JsonObject {
  if (failure !== null) {
    const { error, since } = failure;
    return { at, error: { code: error.code, message: error.message, since } };
  }
  return { at, ...inspectionData(report), change: change === null ? null : changeData(change) };
}

function changeData(change: RegistryChange): JsonObject {
  const { since, entries, arrived, gone, refused } = change;
  const { arrivedPerSecond, gonePerSecond, refusedPerSecond } = change;
  return {
    ...{ since, entries, arrived, gone, refused, arrivedPerSecond, gonePerSecond, refusedPerSecond },
    byKid: change.byKid.map((row) => ({ kid: row.kid, keyId: row.keyId, entries: row.entries })),
    byNode: change.byNode.map((row) => ({ node: row.node, entries: row.entries })),
  };
}
