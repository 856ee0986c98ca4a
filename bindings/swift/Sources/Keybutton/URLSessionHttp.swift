import Foundation
#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// The core's HTTP over URLSession: the system's trust store, proxies and VPN apply.
///
/// Nothing is cached, no cookie is kept, redirects are not followed to another origin, and an answer is cut off once it
/// is larger than the core allows.
///
/// On Linux, Foundation 6.0 ends the process when an answer has `WWW-Authenticate: Bearer` without a parameter after it.
/// The access service always sends one, as RFC 6750 wants; ``KeybuttonCore/Platform/desktop(radio:folder:http:log:vendor:)`` does
/// not use this class there.
public final class URLSessionHttp: Http {
    /// Judges a server's certificate, for an app that pins; called on a queue of the session's.
    public typealias Judge = @Sendable (URLAuthenticationChallenge) -> (
        URLSession.AuthChallengeDisposition, URLCredential?
    )

    private let exchanges: Exchanges
    private let session: URLSession

    /// - Parameters:
    ///   - configuration: proxies, protocol classes and TLS versions are taken from it.
    ///   - judge: judges the server's certificate instead of the system.
    public init(configuration: URLSessionConfiguration = .ephemeral, judge: Judge? = nil) {
        configuration.httpCookieStorage = nil
        configuration.httpShouldSetCookies = false
        configuration.urlCache = nil
        configuration.urlCredentialStorage = nil
        configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
        exchanges = Exchanges(judge: judge)
        session = URLSession(configuration: configuration, delegate: exchanges, delegateQueue: nil)
    }

    deinit {
        session.finishTasksAndInvalidate()
    }

    public func send(request: HttpRequest, answer: HttpAnswer) {
        guard let url = URL(string: request.url), url.host != nil else { return answer.fail(error: .NotAllowed) }
        var asked = URLRequest(url: url, timeoutInterval: request.timeout)
        asked.httpMethod = request.method.verb
        asked.httpBody = request.body.isEmpty ? nil : request.body
        for header in request.headers {
            asked.setValue(header.value, forHTTPHeaderField: header.name)
        }
        let task = session.dataTask(with: asked)
        exchanges.begin(task, limit: Int(request.maxAnswer), answer)
        task.resume()
        // URLSession's own limit is for silence between two packets; this one is for the whole exchange.
        DispatchQueue.global().asyncAfter(deadline: .now() + request.timeout) { [weak exchanges, weak task] in
            guard let task else { return }
            exchanges?.give(up: task, .TimedOut)
        }
    }
}

/// The exchanges that are going on, by task.
private final class Exchanges: NSObject, URLSessionDataDelegate, Sendable {
    private struct Exchange {
        let answer: HttpAnswer
        let limit: Int
        var body = Data()
    }

    private let judge: URLSessionHttp.Judge?
    private let running = Locked<[Int: Exchange]>([:])

    init(judge: URLSessionHttp.Judge?) {
        self.judge = judge
    }

    func begin(_ task: URLSessionTask, limit: Int, _ answer: HttpAnswer) {
        running.with { $0[task.taskIdentifier] = Exchange(answer: answer, limit: limit) }
    }

    func give(up task: URLSessionTask, _ error: HttpError) {
        guard let exchange = end(task) else { return }
        task.cancel()
        exchange.answer.fail(error: error)
    }

    private func end(_ task: URLSessionTask) -> Exchange? {
        running.with { $0.removeValue(forKey: task.taskIdentifier) }
    }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping (URLRequest?) -> Void
    ) {
        let isSameOrigin = task.originalRequest?.url?.origin == request.url?.origin
        // Refused, the redirect itself is the answer.
        completionHandler(isSameOrigin ? request : nil)
    }

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
    ) {
        let limit = running.with { $0[dataTask.taskIdentifier]?.limit }
        guard let limit else { return completionHandler(.cancel) }
        if response.expectedContentLength > Int64(limit) {
            give(up: dataTask, .TooLarge)
            return completionHandler(.cancel)
        }
        completionHandler(.allow)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        let fits = running.with { running in
            guard var exchange = running.removeValue(forKey: dataTask.taskIdentifier) else { return true }
            exchange.body.append(data)
            running[dataTask.taskIdentifier] = exchange
            return exchange.body.count <= exchange.limit
        }
        if !fits { give(up: dataTask, .TooLarge) }
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        guard let exchange = end(task) else { return }
        if let error {
            exchange.answer.fail(error: HttpError(error))
        } else if let response = task.response as? HTTPURLResponse, let status = UInt16(exactly: response.statusCode) {
            exchange.answer.succeed(response: HttpResponse(status: status, body: exchange.body))
        } else {
            exchange.answer.fail(error: .Dropped)
        }
    }

    func urlSession(
        _ session: URLSession, didReceive challenge: URLAuthenticationChallenge,
        completionHandler: @escaping (URLSession.AuthChallengeDisposition, URLCredential?) -> Void
    ) {
        guard let judge else { return completionHandler(.performDefaultHandling, nil) }
        let (disposition, credential) = judge(challenge)
        completionHandler(disposition, credential)
    }
}

extension HttpError {
    /// Says it in the core's words.
    init(_ error: any Error) {
        guard let error = error as? URLError else {
            self = .Unreachable
            return
        }
        self =
            switch error.code {
            case .notConnectedToInternet, .cannotFindHost, .dnsLookupFailed, .dataNotAllowed,
                .internationalRoamingOff, .callIsActive:
                .Offline
            case .timedOut:
                .TimedOut
            case .serverCertificateUntrusted, .serverCertificateHasBadDate, .serverCertificateNotYetValid,
                .serverCertificateHasUnknownRoot, .clientCertificateRejected, .clientCertificateRequired:
                .Untrusted
            case .dataLengthExceedsMaximum:
                .TooLarge
            case .badURL, .unsupportedURL, .appTransportSecurityRequiresSecureConnection:
                .NotAllowed
            case .cancelled:
                .Dropped
            default:
                .Unreachable
            }
    }
}

extension URL {
    /// Scheme, host and port; the port that the scheme stands for where none is given.
    fileprivate var origin: String? {
        guard let scheme = scheme?.lowercased(), let host = host?.lowercased() else { return nil }
        return "\(scheme)://\(host):\(port ?? (scheme == "https" ? 443 : 80))"
    }
}

extension KeybuttonCore.Method {
    fileprivate var verb: String {
        switch self {
        case .get: "GET"
        case .post: "POST"
        case .delete: "DELETE"
        }
    }
}
