import { pluralize } from '../../../domain/shared/pluralize.js';

/** Browsers limit a cookie with its name to 4,096 bytes (RFC 6265 §6.1). */
const COOKIE_CHARACTERS = 4096 - '__Host-access_token='.length;
/** The default buffer for a line of a header in nginx and Apache. */
const HEADER_CHARACTERS = 8190 - 'Authorization: Bearer '.length;

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
        : [`${tooLong(this.#cookies)} for a cookie, which can have 4 KB with its name. ${fewer}`]),
      ...(this.#headers === 0
        ? []
        : [`${tooLong(this.#headers)} for a header line of 8 KB, the default limit of nginx and Apache.`]),
    ];
  }
}

function tooLong(count: number): string {
  return `${pluralize(count, 'token is', 'tokens are')} too long`;
}
