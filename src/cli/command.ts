import { type Argument, Command, Help, type Option } from 'commander';

/** A command with examples, and with help that lists what belongs to it first and the global flags last. */
export class CliCommand extends Command {
  exampleLines: readonly string[] = [];

  examples(...lines: string[]): this {
    this.exampleLines = lines;
    return this;
  }

  override createCommand(name?: string): CliCommand {
    return new CliCommand(name);
  }

  override createHelp(): CommandHelp {
    return new CommandHelp();
  }
}

export class CommandHelp extends Help {
  override showGlobalOptions = true;

  override formatHelp(command: CliCommand): string {
    const { own, global } = this.flagsOf(command);
    const commands = this.visibleCommands(command);
    return `${[
      `Usage: ${this.commandUsage(command)}`,
      this.boxWrap(command.description(), this.helpWidth ?? FALLBACK_WIDTH),
      ...this.#section(
        'Arguments',
        command.registeredArguments.map((argument) => [argument.name(), argument.description]),
      ),
      ...this.#section(
        'Commands',
        commands.map((verb) => [verb.name(), summaryOf(verb)]),
      ),
      ...this.#section('Flags', this.#rows(own)),
      ...(command.exampleLines.length === 0
        ? []
        : [`Examples:\n${command.exampleLines.map((line) => `  $ ${line}`).join('\n')}`]),
      ...this.#section('Global flags', this.#rows(global)),
    ].join('\n\n')}\n`;
  }

  override commandUsage(command: Command): string {
    const names = [];
    for (let one: Command | null = command; one !== null; one = one.parent) names.unshift(one.name());
    const required = command.options.filter(({ mandatory }) => mandatory).map(({ flags }) => flags);
    const words = command.commands.length > 0 ? ['<command>'] : command.registeredArguments.map(usageOf);
    return [...names, ...words, ...required, '[flags]'].join(' ');
  }

  /** A group's `help` command works, but is not worth a line in each group. */
  override visibleCommands(command: Command): Command[] {
    return super.visibleCommands(command).filter((one) => command.parent === null || one.name() !== 'help');
  }

  override optionDescription({ description, argChoices, mandatory }: Option): string {
    const choices = argChoices === undefined ? '' : `: {${argChoices.join('|')}}`;
    const required = mandatory ? ' (required)' : '';
    return `${description.replace(/( \(default: .*\))?$/, `${choices}$1`)}${required}`;
  }

  /** All flags of the program itself are global, and so is `--help` of every command. */
  flagsOf(command: Command): { own: Option[]; global: Option[] } {
    const isGlobal = ({ long }: Option) => command.parent === null || long === '--help';
    const visible = this.visibleOptions(command);
    return {
      own: visible.filter((option) => !isGlobal(option)),
      global: [...this.visibleGlobalOptions(command), ...visible.filter(isGlobal)],
    };
  }

  #rows(options: readonly Option[]): Row[] {
    return options.map((option) => [this.optionTerm(option), this.optionDescription(option)]);
  }

  #section(title: string, rows: readonly Row[]): string[] {
    if (rows.length === 0) return [];
    const width = Math.max(...rows.map(([term]) => term.length));
    const items = rows.map(([term, description]) => this.formatItem(term, width, description, this));
    return [[`${title}:`, ...items].join('\n')];
  }
}

type Row = [term: string, description: string];

const FALLBACK_WIDTH = 80;

function summaryOf(command: Command): string {
  return (command.description().split('\n\n')[0] ?? '').replace(/\.$/, '');
}

function usageOf(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}
