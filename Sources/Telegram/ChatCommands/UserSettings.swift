/// Names the keys in Redis of what people have chosen for themselves or their group.
package enum UserSettings {
    /// The key of a user's language, such as `de`.
    package static func languageKey(of user: Int64) -> String { "tgpipe:{access}:language:\(user)" }

    /// The key of the form in which a user prefers media, as `MediaPreferences.text`.
    package static func preferencesKey(of user: Int64) -> String { "tgpipe:{access}:prefer:\(user)" }

    /// The key of whether a user or a group wants to be asked for the form of media: `1` or `0`.
    package static func askKey(of id: Int64) -> String { "tgpipe:{access}:ask:\(id)" }
}
