/** A Lua script, loaded as text. */
declare module '*.lua' {
  const source: string;
  export default source;
}
