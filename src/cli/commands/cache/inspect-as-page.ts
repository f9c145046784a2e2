import { ownVersion } from '../../../app/version.js';
import { renderFile } from '../../../page/render-page.js';
import type { Invocation } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import type { Outcome } from '../../output/view.js';
import { notRead } from '../../output/views/cache/inspect.js';
import { writtenPage } from '../../output/views/cache/page.js';
import { contradiction } from '../shared/flags.js';
import { readReport } from '../shared/read-report.js';

/** @param name a file, which is replaced, or `-` */
export async function inspectAsPage(
  invocation: Invocation,
  name: string,
  { sub, kid, watch, top = 10 }: { sub?: string; kid?: string; watch?: number | true; top?: number },
): Promise<Outcome> {
  const { globals } = invocation;
  const other = Object.entries({ sub, kid, watch }).find(([, value]) => value !== undefined)?.[0];
  if (other !== undefined) throw contradiction(`--html cannot be combined with --${other}.`, WHOLE);
  if (name === '-' && (globals.format === 'json' || globals.format === 'ndjson'))
    throw contradiction('--html - cannot be combined with JSON output.', 'Write the page into a file.');
  const file = name === '-' ? null : invocation.ownFile(name);
  await file?.read();
  const context = await invocation.context({ migratesEmbedded: false });
  const report = await invocation.withProgress('Reading', (onProgress) =>
    readReport(context, invocation, { top, onProgress }),
  );
  const page = renderFile({ version: ownVersion(), report });
  if (!globals.dryRun) await file?.replace(page);
  const { inspection } = report;
  return {
    view:
      file === null
        ? { shape: 'text', data: null, text: page }
        : writtenPage({ file: file.path, bytes: Buffer.byteLength(page), inspection }, globals.dryRun),
    exitCode: inspection.complete ? EXIT.done : EXIT.partial,
    warnings: notRead(inspection),
  };
}

const WHOLE = 'The page shows the whole registry.';
