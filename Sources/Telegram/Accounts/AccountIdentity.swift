/// The identity of an account.
struct AccountIdentity: Sendable, Equatable {
    let userID: Int64
    let isBot: Bool
}
