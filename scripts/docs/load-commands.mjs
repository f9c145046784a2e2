// @ts-check

/**
 * The program, and its commands with all their verbs and flags, which the program loads only for the command that is called.
 *
 * @param {(source: string) => Promise<any>} load
 * @returns {Promise<{ program: any, commands: any[] }>}
 */
export async function loadCommands(load) {
  const { buildProgram } = await load('src/cli/program.ts');
  const programOf = (/** @type {string[]} */ ...argv) =>
    buildProgram(argv, () => async () => {}, { out() {}, err() {} });
  const program = await programOf();
  const commands = [];
  for (const { _name: name } of program.commands) {
    const loaded = await programOf(name);
    commands.push(loaded.commands.find((/** @type {any} */ one) => one.name() === name));
  }
  return { program, commands };
}
