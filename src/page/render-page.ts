import { contentSecurityPolicy, html } from './browser/page.html';
import type { PageData } from './page-data.js';

/** Returns the page as one file, which loads nothing. */
export function renderFile(data: PageData): string {
  const policy = `${contentSecurityPolicy}; base-uri 'none'; form-action 'none'`;
  return withData(data).replace(
    '<!-- policy -->',
    () => `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
  );
}

/** Returns the dashboard. It needs {@link livePolicy} as its Content-Security-Policy. */
export function renderLive(data: PageData): string {
  return withData(data).replace('<!-- policy -->', '');
}

export const livePolicy = `${contentSecurityPolicy}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

function withData(data: PageData): string {
  return html.replace('"data"</script>', () => `${scriptJson(data)}</script>`);
}

/** Returns JSON that cannot end the script element (`</script`), begin a comment in it (`<!--`), or break a line. */
function scriptJson(data: unknown): string {
  return JSON.stringify(data).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
