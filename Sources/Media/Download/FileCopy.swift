import Glibc

/// Copies files within the kernel.
enum FileCopy {
    static func copy(_ source: String, to target: String) throws(MediaError) {
        let input = open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw .local("read the file", errno) }
        defer { close(input) }
        let output = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw .local("write a file", errno) }
        defer { close(output) }
        while true {
            let count = sendfile(output, input, nil, 64 << 20)
            if count < 0, errno == EINTR { continue }
            if count == 0 { return }
            guard count > 0 else {
                let failure = errno
                unlink(target)
                throw .local("copy a file", failure)
            }
        }
    }
}
