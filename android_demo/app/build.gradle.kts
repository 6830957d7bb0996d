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

    @get:InputFiles
    abstract val cards: ConfigurableFileCollection

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
        for (file in models + cards) {
            require(file.isFile) { "There is no $file: a filter is a .tflite with its card beside it, as exported." }
            file.copyTo(root.resolve("filters/${file.name}"))
        }
        detector.get().asFile.copyTo(root.resolve("blazeface_short_range.tflite"))
        sample.get().asFile.copyTo(root.resolve("sample.png"))
    }
}

val packAssets = tasks.register<PackAssets>("packAssets") {
    models.from(filters)
    cards.from(filters.map { it.resolveSibling(it.nameWithoutExtension + ".json") })
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
