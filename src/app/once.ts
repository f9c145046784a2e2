/** Shares the result of the first call. A failed call is not kept. */
export function once<Argument extends unknown[], Result>(
  make: (...argument: Argument) => Promise<Result>,
): (...argument: Argument) => Promise<Result> {
  let result: Promise<Result> | undefined;
  return (...argument) => {
    if (result === undefined) {
      result = make(...argument);
      result.catch(() => {
        result = undefined;
      });
    }
    return result;
  };
}
