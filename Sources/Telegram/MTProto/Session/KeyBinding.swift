import Digest
import TL

extension Session {
    /// `auth.bindTempAuthKey`, whose inner message has the id of the one in which it is sent.
    ///
    /// Source: https://core.telegram.org/method/auth.bindTempAuthKey
    func bindingRequest(messageID: Int64) -> [UInt8] {
        guard let binding = settings.binding else { return [] }
        let nonce = random.long()
        let inner = TLBytes { writer in
            writer.word(ServiceID.bindInner)
            writer.long(nonce)
            writer.long(key.id)
            writer.long(binding.permanent.id)
            writer.long(id)
            writer.int(binding.expiresAt)
        }
        let encrypted = Session.encryptedFirst(inner, messageID: messageID, binding.permanent, random)
        return TLBytes { writer in
            writer.word(ServiceID.bindTemporaryKey)
            writer.long(binding.permanent.id)
            writer.long(nonce)
            writer.int(binding.expiresAt)
            writer.bytes(encrypted)
        }
    }

    /// A message of MTProto 1.0 under the permanent key: random numbers stand in the places of salt and session.
    private static func encryptedFirst(
        _ body: [UInt8], messageID: Int64, _ key: AuthKey, _ random: RandomSource
    ) -> [UInt8] {
        var plain = TLBytes { writer in
            writer.raw(random.bytes(16))
            writer.long(messageID)
            writer.int(0)
            writer.int(Int32(body.count))
            writer.raw(body)
        }
        let messageKey = Hash.sha1(plain[...])[4...]
        plain += random.bytes(-plain.count & 15)
        return TLBytes { writer in
            writer.long(key.id)
            writer.raw(messageKey)
            writer.raw(MessageCipher(first: key, messageKey: messageKey).encrypted(plain))
        }
    }
}
