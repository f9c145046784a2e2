/** How far events are delivered, and which process delivers them. */
export interface EventConsumers {
  /**
   * Takes or renews the lease, by the database's clock. Adds the consumer if it is missing.
   * @param start the position of a new consumer
   * @returns the position; null while another holder has the lease
   */
  claim(name: string, lease: ConsumerLease, start: string): Promise<string | null>;
  /** Stores the position, unless another holder took the lease. Returns whether it did. */
  advance(name: string, holder: string, position: string): Promise<boolean>;
  /** Ends the lease, so that another process need not wait for its end. */
  release(name: string, holder: string): Promise<void>;
  /** Returns null for a missing consumer. `isLeased` uses the database's clock. */
  find(name: string): Promise<{ position: string; isLeased: boolean } | null>;
}

export interface ConsumerLease {
  holder: string;
  seconds: number;
}
