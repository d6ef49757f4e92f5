package import Envelope
package import JSON

/// Names the place of an event in a group of requests that one request became: `meta.group`.
///
/// The requests of a group share the correlation id. All events that a request causes have its `meta.group`, so that the
/// stage at the end knows what is still to come.
package struct EventGroup: Sendable, Hashable {
    /// The place in the group, from 1 on.
    package let item: Int64
    /// The number of requests in the group.
    package let count: Int64
    /// The title of the item, as far as the list tells it.
    package var title: String?
    /// The places in the list that follow this group, if the list goes on.
    package var next: ItemRange?
    /// The place among the parts into which the item was cut, from 1 on; nil for an item in one piece.
    package private(set) var part: Int64?
    /// The number of parts; nil for an item in one piece.
    package private(set) var parts: Int64?

    /// Is true if other parts of the same item follow.
    package var isFollowedByParts: Bool { part != parts }

    /// The largest number of requests in a group.
    package static let largest: Int64 = 500

    /// Returns nil for a place that the group does not have.
    package init?(item: Int64, count: Int64, title: String? = nil, next: ItemRange? = nil) {
        guard (1...EventGroup.largest).contains(count), (1...count).contains(item) else { return nil }
        (self.item, self.count, self.title, self.next) = (item, count, title, next)
    }

    /// Returns the place of a part of this item; nil for a part that there is not.
    package func part(_ part: Int64, of parts: Int64) -> EventGroup? {
        guard (1...EventGroup.largest).contains(parts), (1...parts).contains(part) else { return nil }
        var group = self
        (group.part, group.parts) = (part, parts)
        return group
    }

    init?(_ json: JSON?) {
        guard let json, let item = json["item"]?.int, let count = json["count"]?.int else { return nil }
        self.init(
            item: item, count: count, title: json["title"]?.string,
            next: json["next"].flatMap { next in
                guard let first = next["first"]?.int, let last = next["last"]?.int else { return nil }
                return ItemRange(first, last)
            })
        if let part = json["part"]?.int, let parts = json["parts"]?.int, let whole = self.part(part, of: parts) {
            self = whole
        }
    }

    package var json: JSON {
        .object([
            "item": .integer(item), "count": .integer(count), "title": JSON(title), "next": next?.json,
            "part": JSON(part), "parts": JSON(parts),
        ])
    }
}

extension Envelope {
    /// The event's place in a group of requests; nil for an event of a single request.
    package var group: EventGroup? {
        get { EventGroup(meta["group"]) }
        set { meta["group"] = newValue?.json }
    }
}
