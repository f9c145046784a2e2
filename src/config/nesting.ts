/** Dotted paths as nested objects: `{ 'token.ttl': number }` is `{ token: { ttl: number } }`. */
export type Nest<Flat> = {
  readonly [Name in Head<keyof Flat> & string]: Name extends keyof Flat
    ? Flat[Name]
    : Nest<Under<Flat, Name>>;
};

/** The same with everything optional. */
export type NestOptional<Flat> = {
  readonly [Name in Head<keyof Flat> & string]?:
    | (Name extends keyof Flat ? Flat[Name] : NestOptional<Under<Flat, Name>>)
    | undefined;
};

/** The part of a dotted path before its first dot. */
type Head<Path> = Path extends `${infer First}.${string}` ? First : Path;
/** The entries under `Group.`, without that part of their paths. */
type Under<Flat, Group> = {
  [Path in keyof Flat as Path extends `${Group & string}.${infer Rest}` ? Rest : never]: Flat[Path];
};
