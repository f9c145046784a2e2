declare module 'cluster-key-slot' {
  /** Returns the Redis Cluster hash slot (0 to 16383) of a key. */
  export default function hashSlot(key: string): number;
}
