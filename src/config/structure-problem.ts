/** Why a list or a map cannot be used. The message follows the setting's name, and never contains a secret. */
export class StructureProblem extends Error {}

/** @throws StructureProblem */
export function parseStructure(text: string, expected: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new StructureProblem(`is not JSON; expected ${expected}`);
  }
}
