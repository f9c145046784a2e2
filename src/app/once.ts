/** Shares the result of the first call. A failed call is not kept. */
export function once<Argument extends unknown[], Result>(
  make: (...argument: Argument) => Promise<Result>,
): (...argument: Argument) => Promise<Result> {
  let made: Promise<Result> | undefined;
  return (...argument) => {
    if (made === undefined) {
      made = make(...argument);
      made.catch(() => {
        made = undefined;
      });
    }
    return made;
  };
}
