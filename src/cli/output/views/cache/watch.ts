import type { Look, RegistryChange } from '../../../../domain/inspection/watch.js';
import { formatDuration } from '../../../../domain/shared/duration.js';
import { rate, signed } from '../../number-format.js';
import { isoTime } from '../../time.js';
import type { JsonObject, Section, Text, View } from '../../view.js';
import { inspectionData, inspectionSections } from './inspect.js';

export function watch(looks: AsyncIterable<Look>, intervalSeconds: number): View {
  return { shape: 'live', frames: frames(looks, intervalSeconds) };
}

async function* frames(looks: AsyncIterable<Look>, intervalSeconds: number) {
  for await (const look of looks)
    yield { data: lookData(look), sections: lookSections(look, intervalSeconds) };
}

function lookSections(look: Look, intervalSeconds: number): Section[] {
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
  return [{ ...first, lines: [...lines, ...(first.lines ?? [])] }, ...others];
}

function inWords({ entries, arrivedPerSecond, gonePerSecond, since }: RegistryChange): string {
  const when = isoTime(since).slice(11);
  return `${signed(entries)} since ${when}, ${rate(arrivedPerSecond)}/s new, ${rate(gonePerSecond)}/s gone`;
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
  const { since, entries, arrived, gone, arrivedPerSecond, gonePerSecond } = change;
  return {
    ...{ since, entries, arrived, gone, arrivedPerSecond, gonePerSecond },
    byKid: change.byKid.map((row) => ({ kid: row.kid, keyId: row.keyId, entries: row.entries })),
    byNode: change.byNode.map((row) => ({ node: row.node, entries: row.entries })),
  };
}
