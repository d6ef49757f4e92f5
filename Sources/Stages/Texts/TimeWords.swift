extension Texts {
    /// Returns a time in words, rounded up to the largest unit that suits it: `34 s`, `3 min`, `2 h`.
    ///
    /// - Parameter isRough: whether seconds would be more precise than the figure is.
    package func time(_ seconds: Int64, _ code: String?, isRough: Bool = false) -> String {
        let seconds = min(max(0, seconds), 10_000_000_000)
        let (unit, length): (String, Int64) =
            switch seconds {
            case ..<120 where !isRough: ("seconds", 1)
            case ..<7200: ("minutes", 60)
            case ..<172_800: ("hours", 3600)
            default: ("days", 86_400)
            }
        let number = max(isRough ? 1 : 0, (seconds + length - 1) / length)
        return text("time_\(unit)", code, ["number": .raw("\(number)")])
    }
}
