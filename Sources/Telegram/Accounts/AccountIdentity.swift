/// Who an account is.
struct AccountIdentity: Sendable, Equatable {
    let userID: Int64
    let isBot: Bool
}
