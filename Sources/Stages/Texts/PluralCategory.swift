/// The categories of numbers by which languages choose a form.
///
/// Source: Unicode CLDR, plural rules for cardinal numbers. Only whole numbers are counted here.
package enum PluralCategory: String, Sendable, CaseIterable {
    case zero, one, two, few, many, other

    /// Returns the category of a number in a language.
    package init(of number: Int64, in language: String) {
        let n = number.magnitude
        self =
            switch language {
            case "ru", "uk":
                switch (n % 10, n % 100) {
                case (1, let rest) where rest != 11: .one
                case (2...4, let rest) where !(12...14).contains(rest): .few
                default: .many
                }
            case "ar":
                switch (n, n % 100) {
                case (0, _): .zero
                case (1, _): .one
                case (2, _): .two
                case (_, 3...10): .few
                case (_, 11...99): .many
                default: .other
                }
            case "pt", "fa", "fr": n <= 1 ? .one : .other
            default: n == 1 ? .one : .other
            }
    }

    /// Returns the categories that whole numbers have in a language.
    package static func all(in language: String) -> Set<PluralCategory> {
        switch language {
        case "ru", "uk": [.one, .few, .many]
        case "ar": [.zero, .one, .two, .few, .many, .other]
        default: [.one, .other]
        }
    }
}
