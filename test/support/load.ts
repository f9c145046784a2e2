import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';

export interface IssuedUnderLoad {
  token: string;
  kid: string;
  iat: number;
}

export interface VerifierReport {
  /** Tokens that it verified as soon as they were issued. */
  first: number;
  /** Verifications of tokens that it had seen before. */
  again: number;
  slowestFirstMs: number;
  /** Verifications by kid. */
  verifications: Record<string, number>;
  /** Refusals by code and kid. */
  refusals: Record<string, number>;
}

export interface Load {
  /** Every token so far, in the order of issue. */
  readonly issued: readonly IssuedUnderLoad[];
  /** Resolves once a token under this key has been issued. */
  used(kid: string): Promise<void>;
  /** Ends the issuer, and then the verifiers after they have verified every token. */
  end(): Promise<VerifierReport[]>;
  /** Ends all processes that still run. */
  kill(): void;
}

/**
 * Starts one process that issues tokens without a pause, and several that verify each token as soon as it is issued and
 * keep verifying older ones. They use the built library with the settings in `env`.
 */
export async function startLoad(
  env: Record<string, string>,
  options: { subjects: readonly string[]; verifiers: number },
): Promise<Load> {
  const verifiers = Array.from({ length: options.verifiers }, () => startProgram('verifying.mjs', [], env));
  await Promise.all(verifiers.map(({ message }) => message()));

  const issued: IssuedUnderLoad[] = [];
  const issuer = startProgram('issuing.mjs', options.subjects, env);
  issuer.onMessage((token) => {
    issued.push(token as IssuedUnderLoad);
    for (const { send } of verifiers) send(token as IssuedUnderLoad);
  });
  const firstUnder = (kid: string) =>
    vi.waitFor(() => {
      if (!issued.some((token) => token.kid === kid)) throw new Error(`No token under key ${kid} so far.`);
    }, 30_000);
  return {
    issued,
    used: (kid) => Promise.race([firstUnder(kid), issuer.ended]),
    end: async () => {
      issuer.send('end');
      await issuer.ended;
      const reports = verifiers.map(({ message }) => message() as Promise<VerifierReport>);
      for (const { send } of verifiers) send('end');
      return Promise.all(reports);
    },
    kill: () => {
      for (const { kill } of [issuer, ...verifiers]) kill();
    },
  };
}

export function startProgram(name: string, argv: readonly string[], env: Record<string, string>) {
  const file = fileURLToPath(new URL(name, import.meta.url));
  const stdio = ['ignore', 'ignore', 'pipe', 'ipc'] as const;
  const child = fork(file, [...argv], { env, execArgv: [], stdio: [...stdio] });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([status, signal]) => {
    if (status !== 0) throw new Error(`${name} ended with ${status ?? signal}: ${stderr}`);
  });
  // Avoids an unhandled rejection. Callers that wait for the program get the error.
  ended.catch(() => {});
  const tooEarly = ended.then(() => Promise.reject(new Error(`${name} ended without a word.`)));
  tooEarly.catch(() => {});
  return {
    ended,
    message: async (): Promise<unknown> => {
      const [message] = await Promise.race([once(child, 'message'), tooEarly]);
      return message;
    },
    onMessage: (listener: (message: unknown) => void) => child.on('message', listener),
    // If the program is gone, its exit reports why.
    send: (message: object | string) => child.send(message, () => {}),
    kill: () => child.kill('SIGKILL'),
  };
}
