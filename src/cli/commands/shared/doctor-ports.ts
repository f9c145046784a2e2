import type { Context } from '../../../app/context.js';
import type { DoctorPorts } from '../../../domain/doctor/check.js';
import type { Invocation } from '../../invocation.js';
import { statusPolicy } from './status-policy.js';

export function configurationPort({ configSources }: Pick<Invocation, 'configSources'>) {
  return async () => (await import('../../../config/show-config.js')).validateConfig(configSources);
}

/** @param url of the JWK Set; default: `keys.publishUrl` */
export function doctorPorts(
  context: Context,
  { configSources, signal }: Pick<Invocation, 'configSources' | 'signal'>,
  url?: string,
): DoctorPorts {
  return {
    ...context,
    publishedKeys: () => context.publishedKeys(url),
    hookProblem: async () => {
      const { command } = context.settings.hooks;
      const { programProblem } = await import('../../../config/secrets/program-problem.js');
      return command === null ? null : programProblem(command);
    },
    configuration: configurationPort({ configSources }),
    policy: statusPolicy(context.settings),
    signal,
  };
}
