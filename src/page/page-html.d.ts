/** The page with its script and style. The build makes it from this folder. */
declare module '*/page.html' {
  /** Has the comment `policy` and the string `"data"` in their places. */
  export const html: string;
  /** Without `connect-src` and what a `meta` element cannot set. */
  export const contentSecurityPolicy: string;
}
