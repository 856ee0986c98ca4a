import Foundation
import Keybutton
import SwiftUI

/// A Branded App with one screen: the Home Screen, with the Key Button at the bottom right.
@main
struct HarbourKeysApp: App {
    private let home = Home()

    var body: some Scene {
        WindowGroup {
            HomeScreen(home: home)
        }
    }
}

/// The app's keys, made once.
@MainActor
final class Home {
    let keys: MobileKeys?
    let button: KeyButtonModel?

    init() {
        let config = Config(
            serviceUrl: "https://keys.harbour.example", app: "com.harbour.app", deviceName: "Ana's phone",
            platform: "ios")
        keys = try? MobileKeys(config, .apple())
        button = keys.map { KeyButtonModel($0) }
    }

    /// Hands over the session of whoever is signed in to the app.
    func signIn() async {
        guard let token = await Session.token() else { return }
        _ = try? await keys?.signIn(token)
    }
}

/// Where a real app asks its own back end for the member's session token.
enum Session {
    static func token() async -> String? {
        ProcessInfo.processInfo.environment["SESSION_TOKEN"]
    }
}

struct HomeScreen: View {
    let home: Home

    var body: some View {
        NavigationStack {
            ZStack(alignment: .bottomTrailing) {
                List {
                    ForEach(home.keys?.doors ?? [], id: \.id) { door in
                        Text(verbatim: door.name)
                    }
                }
                if let button = home.button {
                    VStack(alignment: .trailing) {
                        KeyButtonStatus(button)
                        KeyButton(button)
                    }
                    .padding()
                }
            }
            .navigationTitle("Harbour")
        }
        .task { await home.signIn() }
    }
}
