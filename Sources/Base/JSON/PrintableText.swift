extension String {
    /// Without control characters: what comes from outside must not steer the terminal that shows it.
    package var printable: String {
        String(String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
    }
}
