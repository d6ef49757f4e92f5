/// A message that is nothing but a small number, by which people choose from a list where there are no buttons.
package enum WrittenNumber {
    /// Returns the number, from 1 to 99, in the digits of any script; nil for any other text.
    package static func of(_ text: String) -> Int? {
        let digits = text.filter { !$0.isWhitespace }
        guard (1...2).contains(digits.count) else { return nil }
        var number = 0
        for digit in digits {
            let properties = digit.unicodeScalars.count == 1 ? digit.unicodeScalars.first?.properties : nil
            guard properties?.numericType == .decimal, let value = properties?.numericValue else { return nil }
            number = 10 * number + Int(value)
        }
        return number > 0 ? number : nil
    }
}
