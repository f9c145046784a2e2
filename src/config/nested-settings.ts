/** Turns dotted paths into nested objects: `{ 'token.ttl': number }` becomes `{ token: { ttl: number } }`. */
export type Nest<Flat> = {
  readonly [Name in Head<keyof Flat> & string]: Name extends keyof Flat
    ? Flat[Name]
    : Nest<Under<Flat, Name>>;
};

export type NestOptional<Flat> = {
  readonly [Name in Head<keyof Flat> & string]?:
    | (Name extends keyof Flat ? Flat[Name] : NestOptional<Under<Flat, Name>>)
    | undefined;
};

type Head<Path> = Path extends `${infer First}.${string}` ? First : Path;
type Under<Flat, Group> = {
  [Path in keyof Flat as Path extends `${Group & string}.${infer Rest}` ? Rest : never]: Flat[Path];
};
