package import System

/// Why a session cannot be read, kept or taken over. Its words hold no key.
package struct AccountError: ReportableError, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// A name that no session can have.
        case invalidName = "invalid_name"
        case notFound = "not_found"
        /// There is one of this name already.
        case exists
        /// The file is no session, or not whole.
        case damaged
        /// The file is of a version that this one cannot read.
        case otherVersion = "other_version"
        /// Others may read the file.
        case exposed
        /// What is to be imported is no session that is known here.
        case notImportable = "not_importable"
        case localIO = "local_io"
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var exitStatus: ExitStatus {
        switch code {
        case .invalidName: .usage
        case .notFound, .damaged, .otherVersion, .exposed, .exists: .configuration
        case .notImportable: .malformedInput
        case .localIO: .localIO
        }
    }

    package var description: String { message }
}
