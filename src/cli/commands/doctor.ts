import { Option } from 'commander';
import { type Check, type CheckResult, runChecks } from '../../domain/doctor/check.js';
import { configuration } from '../../domain/doctor/checks/configuration.js';
import { CHECKS } from '../../domain/doctor/checks/index.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import type { Action, DefineCommand, Invocation } from '../invocation.js';
import { EXIT } from '../output/exit-code.js';
import { checkList, doctorReport } from '../output/views/doctor.js';
import { configurationPort, doctorPorts } from './shared/doctor-ports.js';

export const defineDoctor: DefineCommand = (command, run) => {
  command
    .option('--list', 'list the checks without running them')
    .addOption(new Option('--only <check>', 'run only this check').choices(CHECKS.map(({ name }) => name)))
    .option('--url <url>', 'address of the served JWK Set (default: keys.publishUrl)', parseUrl)
    .examples('jwtctl doctor', 'jwtctl doctor --only private-keys --json')
    .action(run(doctor));
};

interface DoctorFlags {
  list?: true;
  only?: string;
  url?: string;
}

const doctor: Action<DoctorFlags, []> = async (invocation, { list, only, url }) => {
  const checks = CHECKS.filter(({ name }) => only === undefined || name === only);
  if (list) return { view: checkList(checks) };
  const results = await makeChecks(checks, invocation, url);
  const hasError = results.some(({ findings }) => findings.some(({ level }) => level === 'error'));
  return { view: doctorReport(results), exitCode: hasError ? EXIT.refused : EXIT.done };
};

/** With invalid settings, only the check of the settings can be made. */
async function makeChecks(
  checks: readonly Check[],
  invocation: Invocation,
  url: string | undefined,
): Promise<CheckResult[]> {
  const unreadable = await invocation.config().then(
    () => null,
    (error: unknown) => error,
  );
  if (unreadable !== null) {
    const isUsage = unreadable instanceof JwtctlError && unreadable.kind === 'usage';
    if (!isUsage || !checks.includes(configuration)) throw unreadable;
    const [made] = await runChecks([configuration], { configuration: configurationPort(invocation) });
    const notMade = 'The settings are invalid.';
    return checks.map((check) => (check === configuration && made) || { check, findings: [], notMade });
  }
  const context = await invocation.context({ migratesEmbedded: false });
  return invocation.withProgress('Checking', (onProgress) =>
    runChecks(checks, { ...doctorPorts(context, invocation, url), onProgress }),
  );
}

function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  // The address is printed.
  const hasPassword = url !== null && url.username + url.password !== '';
  if (hasPassword || (url?.protocol !== 'https:' && url?.protocol !== 'http:'))
    throw new JwtctlError(
      'ERR_FLAG_INVALID',
      '--url is not an http or https address without a password, such as https://id.example/jwks.json.',
    );
  return url.href;
}
