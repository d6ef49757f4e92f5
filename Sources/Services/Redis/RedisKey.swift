/// Builds the names of keys that several modules share; see docs/coordination.md.
package enum RedisKey {
    /// Returns the key under which stages share `name` about one request.
    ///
    /// - Parameter id: the request's correlation id.
    package static func correlation(_ id: some CustomStringConvertible, _ name: String) -> String {
        "tgpipe:correlation:\(id):\(name)"
    }
}
