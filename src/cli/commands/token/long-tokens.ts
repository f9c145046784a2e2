import { pluralize } from '../../output/pluralize.js';

/** The longest token that fits into a cookie, which browsers limit to 4,096 bytes (RFC 6265 §6.1), counted without its name. */
const COOKIE_CHARACTERS = 4096;
/** The default buffer for a line of a header in nginx and Apache. */
const HEADER_CHARACTERS = 8192;

/** Counts tokens that are too long for what usually carries them. */
export class LongTokens {
  #cookies = 0;
  #headers = 0;

  add({ length }: string): void {
    if (length > COOKIE_CHARACTERS) this.#cookies += 1;
    if (length > HEADER_CHARACTERS) this.#headers += 1;
  }

  warnings(): string[] {
    const fewer = 'Use fewer or shorter claims.';
    return [
      ...(this.#cookies === 0
        ? []
        : [`${longer(this.#cookies, 4)}. Browsers drop a cookie that long. ${fewer}`]),
      ...(this.#headers === 0
        ? []
        : [`${longer(this.#headers, 8)}. By default, nginx and Apache refuse a header line that long.`]),
    ];
  }
}

function longer(count: number, kilobytes: number): string {
  const what = count === 1 ? 'A token is' : `${pluralize(count, 'token')} are`;
  return `${what} longer than ${kilobytes} KB`;
}
