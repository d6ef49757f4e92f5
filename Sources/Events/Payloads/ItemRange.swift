package import JSON

/// Names consecutive videos of a list by their places, the first of which is 1: the member `items` of a request.
package struct ItemRange: Sendable, Hashable {
    package let first: Int64
    package let last: Int64

    /// Returns nil for an empty range, and for places that no list has.
    package init?(_ first: Int64, _ last: Int64) {
        guard MediaVariant.items.contains(first), MediaVariant.items.contains(last), first <= last else { return nil }
        (self.first, self.last) = (first, last)
    }

    /// The number of videos.
    package var count: Int64 { last - first + 1 }

    /// Returns the range without what exceeds a number of videos, which is at least 1.
    package func limited(to count: Int64) -> ItemRange {
        ItemRange(first, min(last, first + max(1, min(count, MediaVariant.items.upperBound)) - 1)) ?? self
    }

    /// Reads the member `items` of a payload; nil if there is none.
    ///
    /// - Throws: `MalformedInput` for what is no range.
    init?(_ json: JSON?, type: String) throws(MalformedInput) {
        guard let json, !json.isNull else { return nil }
        guard let first = json["first"]?.int, let last = json["last"]?.int, let range = ItemRange(first, last) else {
            throw MalformedInput(.invalidPayload, "\(type): items is no range with first and last, from 1 on")
        }
        self = range
    }

    /// The places that one number can name in a command. A larger number is a height of the picture.
    package static let singlePlaces: ClosedRange<Int64> = 1...(MediaVariant.heights.lowerBound - 1)

    /// The range as a person writes it before a link: `1-5`, `3`.
    package var written: String {
        first == last && ItemRange.singlePlaces.contains(first) ? "\(first)" : "\(first)-\(last)"
    }

    package var json: JSON { .object(["first": .integer(first), "last": .integer(last)]) }
}
