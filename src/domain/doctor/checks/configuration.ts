import { type Check, type DoctorPorts, errorFinding, warning } from '../check.js';

export const configuration: Check<Pick<DoctorPorts, 'configuration'>> = {
  name: 'configuration',
  title: 'The settings are consistent, and only this account can read the files that hold secrets.',
  run: async ({ configuration }) => {
    const { problems, warnings } = await configuration();
    const remedy = 'Run `jwtctl config validate` after the change.';
    return [...problems.map(errorFinding), ...warnings.map((text) => warning(text, remedy))];
  },
};
