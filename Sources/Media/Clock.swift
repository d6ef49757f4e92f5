/// Writes times as people do.
package enum Clock {
    /// Returns a number of seconds as `m:ss`, or `h:mm:ss` from an hour on.
    package static func text(_ seconds: Double) -> String {
        // A site may name a number that an `Int` cannot hold.
        let whole = Int(min(1e9, max(0, seconds)))
        let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return hours > 0 ? "\(hours):\(two(minutes)):\(two(rest))" : "\(minutes):\(two(rest))"
    }
}
