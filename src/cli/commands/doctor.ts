import { Option } from 'commander';
import { runChecks } from '../../domain/doctor/check.js';
import { CHECKS } from '../../domain/doctor/checks/index.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import type { Action, DefineCommand } from '../invocation.js';
import { EXIT } from '../output/exit-code.js';
import { checkList, doctorReport } from '../output/views/doctor.js';
import { doctorPorts } from './shared/doctor-ports.js';

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
  const context = await invocation.context();
  const results = await invocation.withProgress('Checking', (onProgress) =>
    runChecks(checks, { ...doctorPorts(context, invocation, url), onProgress }),
  );
  const hasError = results.some(({ findings }) => findings.some(({ level }) => level === 'error'));
  return { view: doctorReport(results), exitCode: hasError ? EXIT.refused : EXIT.done };
};

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
