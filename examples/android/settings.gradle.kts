pluginManagement {
    repositories {
        google()
        mavenCentral()
    }
}

dependencyResolutionManagement {
    repositories {
        google()
        mavenCentral()
        // What `cargo xtask kotlin` leaves; `-Pkeybutton.repository=FOLDER` names another one.
        maven(providers.gradleProperty("keybutton.repository").getOrElse("../../target/kotlin/repository"))
    }
}

rootProject.name = "harbour"
include(":app")
