plugins {
    alias(libs.plugins.android.application)
}

fun fact(name: String) = providers.gradleProperty(name).get()

val kgan = rootDir.parentFile

/** The filters to pack: -Pfilter=exported/anime.tflite, or those of bundled.txt. Their cards lie beside them. */
val filters = providers.gradleProperty("filter").orNull?.let { listOf(file(it)) }
    ?: rootDir.resolve("bundled.txt").readLines().map { kgan.resolve(it) }

abstract class PackAssets : DefaultTask() {
    @get:InputFiles
    abstract val models: ConfigurableFileCollection

    @get:InputFile
    abstract val detector: RegularFileProperty

    @get:InputFile
    abstract val sample: RegularFileProperty

    @get:OutputDirectory
    abstract val folder: DirectoryProperty

    @TaskAction
    fun pack() {
        val root = folder.get().asFile
        root.deleteRecursively()
        for (model in models) {
            val card = model.resolveSibling(model.nameWithoutExtension + ".json")
            require(card.isFile) { "$model has no card $card: copy it from where the filter was exported." }
            for (file in listOf(model, card)) {
                file.copyTo(root.resolve("filters/${file.name}"))
            }
        }
        detector.get().asFile.copyTo(root.resolve("blazeface_short_range.tflite"))
        sample.get().asFile.copyTo(root.resolve("sample.png"))
    }
}

val packAssets = tasks.register<PackAssets>("packAssets") {
    models.from(filters)
    detector.set(kgan.resolve("kgan/assets/blazeface_short_range.tflite"))
    sample.set(kgan.resolve("docs/onesided.png"))
}

android {
    namespace = "org.kgan.app"
    compileSdk = 35

    defaultConfig {
        applicationId = fact("applicationId")
        minSdk = fact("minSdk").toInt()
        targetSdk = fact("targetSdk").toInt()
        versionCode = fact("versionCode").toInt()
        versionName = fact("versionName")
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
    }

    androidResources {
        noCompress += "tflite"
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
}

androidComponents {
    onVariants { variant ->
        variant.sources.assets?.addGeneratedSourceDirectory(packAssets, PackAssets::folder)
    }
}

dependencies {
    implementation(project(":library"))
    testImplementation(libs.junit)
    androidTestImplementation(libs.androidx.junit)
    androidTestImplementation(libs.androidx.runner)
}
