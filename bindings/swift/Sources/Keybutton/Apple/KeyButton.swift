#if canImport(SwiftUI)
import SwiftUI

/// The Key Button: round, with the lock's own light around it. Not there when the model says that it is hidden.
///
/// Place it at the bottom right of the Home Screen. Pressing it opens the door the member stands at; while a press is
/// going on, pressing it again gives the press up.
public struct KeyButton: View {
    private let model: KeyButtonModel
    private let options: PressOptions

    /// - Parameter options: which door, by when; by default the nearest one.
    public init(_ model: KeyButtonModel, options: PressOptions = PressOptions()) {
        self.model = model
        self.options = options
    }

    public var body: some View {
        if let look = KeyButtonLook(model.state) {
            Button {
                if look.isBusy { model.cancel() } else { Task { await model.press(options) } }
            } label: {
                Image(systemName: look.symbol)
                    .font(.title)
                    .foregroundStyle(.white)
                    .frame(width: 72, height: 72)
                    .background(look.light.color, in: Circle())
                    .symbolEffect(.pulse, isActive: look.isBusy)
            }
            .buttonStyle(.plain)
            .accessibilityLabel(Text(verbatim: look.accessibilityLabel))
            .confirmationDialog("Which door?", isPresented: isChoosing, titleVisibility: .visible) {
                ForEach(model.choices ?? [], id: \.peripheral) { candidate in
                    Button(candidate.name) { model.choose(candidate.door) }
                }
            }
        }
    }

    private var isChoosing: Binding<Bool> {
        Binding {
            model.choices != nil
        } set: { isShown in
            // The dialog closes before a chosen button acts: only a dialog that was left gives the press up.
            if !isShown { Task { if model.choices != nil { model.choose(nil) } } }
        }
    }
}

/// What the Key Button has to say, in words: a phase, or the outcome with what the member can do.
public struct KeyButtonStatus: View {
    private let model: KeyButtonModel

    public init(_ model: KeyButtonModel) {
        self.model = model
    }

    public var body: some View {
        if let look = KeyButtonLook(model.state), look.light != .off {
            VStack(alignment: .leading, spacing: 4) {
                Text(verbatim: look.title).font(.headline)
                if let hint = look.hint { Text(verbatim: hint).font(.subheadline) }
            }
            .padding()
            .background(look.light.color.opacity(0.2), in: RoundedRectangle(cornerRadius: 16))
            .accessibilityElement(children: .combine)
        } else if let failure = model.failure {
            Text(verbatim: failure.code.message()).font(.headline)
        }
    }
}

extension KeyButtonLook.Light {
    /// The colour on a screen.
    public var color: Color {
        switch self {
        case .off: .accentColor
        case .amber: .orange
        case .green: .green
        case .red: .red
        }
    }
}
#endif
