/// What a session has to tell its owner.
enum SessionEvent {
    case answer(CallID, Result<[UInt8], TelegramRPCError>)
    /// Anything that is no message of the protocol: an update.
    case update([UInt8])
    /// The server has begun to count anew: updates may have been lost.
    case created
    /// The server's number for messages changed, which is worth keeping.
    case salt(Int64)
    /// The temporary key was bound, or why not.
    case bound(TelegramRPCError?)
}
